"""The steps of the tracks: each acts through the ports it is given and returns what the stages decided."""
