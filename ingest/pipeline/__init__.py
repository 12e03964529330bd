"""Work on many items: in order, in parallel, interruptible, each failure its own."""
