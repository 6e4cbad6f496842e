"""Why do requests not appear? What ``majordomo-companion doctor`` looks at, each thing with what to do about it.

Each check returns findings and never raises; each has a time limit; none changes anything. No finding holds a secret.
"""
