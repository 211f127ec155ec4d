"""The helper that names open files, while another thread opens and closes them."""

from __future__ import annotations

import os
import threading
from unittest import TestCase

from tests.descriptors import open_paths, path_of


class Descriptors(TestCase):
    def test_one_that_is_closed_meanwhile_is_left_out(self) -> None:
        descriptor = os.open("/dev/null", os.O_RDONLY)
        self.assertEqual(path_of(descriptor), "/dev/null")
        os.close(descriptor)
        self.assertEqual(path_of(descriptor), "")
        stopping = threading.Event()

        def open_and_close() -> None:
            while not stopping.is_set():
                os.close(os.open("/dev/null", os.O_RDONLY))

        thread = threading.Thread(target=open_and_close)
        thread.start()
        try:
            for _ in range(300):
                self.assertIn(path_of(descriptor), ("", "/dev/null"))
                open_paths()
        finally:
            stopping.set()
            thread.join()
