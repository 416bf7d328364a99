"""What a withdrawal sets in motion in this product; ``handlers_of`` lists the handlers, ``runner`` empties the outbox.

Each handler is a class with ``name``, ``targets`` and ``run`` (``consent.wake.Handler``), made of ``WakeParts``.
"""
