"""The gallery: every defect of the series, those before it and those that outlived it."""
