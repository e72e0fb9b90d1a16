"""The operations of the gateway: one module for each noun of the command line."""
