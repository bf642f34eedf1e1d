"""DynamoDB's point-in-time history, exports, restores and imports, as AWS shows them.

``service.py`` is the only door. Nothing here imports ministack: the emulator under us is reached
through ``..interface.Inner``, and feeds us its item mutations through ``PitrService.record``.
"""
