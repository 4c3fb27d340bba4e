def load_html_template():
    return ''
