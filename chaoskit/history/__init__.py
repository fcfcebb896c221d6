"""What happened: operation rows, the spool they survive in, and the frame they are analysed as."""
