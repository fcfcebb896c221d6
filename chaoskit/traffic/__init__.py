"""Who uses it: open-loop arrivals, workers, protocols."""
