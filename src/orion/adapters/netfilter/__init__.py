"""Programs that change the kernel's netfilter, for the adapters that need them."""
