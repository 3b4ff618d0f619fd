"""The inbox: what fans write, what the label answers, and when both are gone."""
