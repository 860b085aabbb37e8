"""The push server: what the studio reviews, over HTTP. `remote` is its client."""
