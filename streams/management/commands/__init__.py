"""The commands `journal` and `simulate`."""
