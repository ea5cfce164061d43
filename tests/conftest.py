import os

os.environ["MPLBACKEND"] = "Agg"
