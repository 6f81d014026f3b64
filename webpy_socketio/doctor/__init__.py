"""The doctor: plays a browser against a deployment, and explains what it finds. Needs no gevent."""
