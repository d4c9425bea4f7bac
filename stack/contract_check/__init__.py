"""What buf does not see in the contract: policies, routes, method shapes, sensitivity, events, reasons, and that all of them only grow."""
