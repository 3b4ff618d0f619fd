"""Rules: what a label has done by itself with what fans write. One pure function decides, previewed and for real."""
