"""stub"""
def write_risk_preview(folder, summary, fields, dying): return ()
