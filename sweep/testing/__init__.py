"""What an extension has to fulfil, as tests that pytest collects from a subclass."""
