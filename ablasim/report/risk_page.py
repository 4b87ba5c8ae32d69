"""stub"""
def write_risk_page(folder, summary): pass
