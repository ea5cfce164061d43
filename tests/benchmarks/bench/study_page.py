def blocks(r):
    return {}


def fill(p, r):
    return p
