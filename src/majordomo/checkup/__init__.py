"""What can be wrong with an installation, looked at from outside: the findings of ``majordomo doctor``.

Each check returns findings and never raises; each has a time limit; none changes anything. They work whether or not the
gateway runs. The one thing that may be started is the embedded database of a stopped gateway, for the time of the look.
"""
