"""Static files with a hash of their content in their names, also in imports between modules.

Without the hash in imports, a browser could run a new page with cached old modules for a minute
after a deployment.
"""

from __future__ import annotations

from whitenoise.storage import CompressedManifestStaticFilesStorage


# WhiteNoise is untyped
class HashedModules(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    support_js_module_import_aggregation = True
