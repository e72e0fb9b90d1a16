"""What other people's engines and locks are tested with: conformance suites, injected faults."""
