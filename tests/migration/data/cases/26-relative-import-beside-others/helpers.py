def show(*things):
    print(things)
