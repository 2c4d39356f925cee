"""The page in the browser: its server, and the files that it shows."""
