"""The timeline: packets of a call in, runs of samples and gaps on one axis out."""
