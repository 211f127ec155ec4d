"""Evidence: proof that nothing of a call was altered, removed, reordered or shortened.

tree.py     Merkle tree of RFC 6962: root, inclusion proofs
leaves.py   canonical bytes of the leaves: the call, its segments, its gaps and pauses
keys.py     the installation's key: signing, and the public keys
loading.py  reads the leaves from the rows
seals.py    computes and signs roots: the job, and `manage.py seal_calls`
"""
