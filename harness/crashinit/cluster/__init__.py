"""Campaigns on the workers of a dask cluster: who runs what, what a host lacks, what comes home.

`engine.py` is the owner's end, `host.py` what runs in a dask worker, `hands.py` the process below it that has the
machines, `goods.py` what goes to a host that lacks it, `connect.py` the way to a cluster. Needs `crashinit[cluster]`.
"""
