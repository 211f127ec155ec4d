"""Static files whose names hold their content's hash, also where one module imports another.

Without it the modules that dashboard.js imports keep their plain names, and for a minute after a
deployment a browser could run a new page with old modules.
"""

from __future__ import annotations

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedModules(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # WhiteNoise is untyped
    support_js_module_import_aggregation = True
