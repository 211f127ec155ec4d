"""Waveforms of exports: the lowest and highest sample of each point.

peaks         chooses the source: stored waveforms if they are fine enough, else the samples
stored  PURE  points from the waveforms in the segments' rows
"""
