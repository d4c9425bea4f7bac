"""What a process says about itself: metrics, traces, logs and probes."""
