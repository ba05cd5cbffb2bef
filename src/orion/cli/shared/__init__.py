"""What commands share: options, types of values, output, waiting."""
