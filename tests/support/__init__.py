"""What tests of several folders share: servers with faults, one face for every client, and measures."""
