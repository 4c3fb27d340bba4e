def get_template(name):
    return name
