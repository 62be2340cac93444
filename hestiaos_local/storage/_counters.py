"""The counters table: how much of each limit of a policy is used."""

from __future__ import annotations

from collections.abc import Sequence

from hestiaos_local.governance import Charge, Counter, CounterUse, Exhausted, Limit, Reservation, admit
from hestiaos_local.storage._database import Database, Transaction
from hestiaos_proto import json

__all__ = ["Counters"]

_SHOWN = 1000  # counters of one limit that `usage` returns, at most
_DELETED = 10  # expired counters deleted by each reservation: more than one reservation creates
_SELECT_UNUSED = 'SELECT name, per, subject, "window" FROM counters WHERE until <= :now LIMIT :most'


class Counters:
    """The counters stored in `database`. A power failure may lose the last changes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def reserve(self, charges: Sequence[Charge], now: float) -> Reservation | Exhausted:
        """Charge every limit, or none of them if one is exhausted."""
        with self._database.write(*map(_lock, charges), durable=False) as db:
            admitted = admit(charges, _read(db, charges), now)
            if isinstance(admitted, Exhausted):
                return admitted
            reservation, counters = admitted
            for charge, counter in zip(charges, counters, strict=True):
                _write(db, charge, counter)
            unused = f"{_SELECT_UNUSED} {self._database.dialect.skip_locked}"
            db.execute(  # checks `until` again, since another process may have used the counter meanwhile
                f'DELETE FROM counters WHERE until <= :now AND (name, per, subject, "window") IN ({unused})',
                {"now": now, "most": _DELETED},
            )
        return reservation

    def settle(self, reservation: Reservation, tokens: int) -> None:
        """Replace the tokens that were reserved with those that were used."""
        changed = [
            (charge, place)
            for charge, place in zip(reservation.charges, reservation.places, strict=True)
            if charge.counts_tokens and charge.tokens != tokens
        ]
        if not changed:
            return
        charges = [charge for charge, _ in changed]
        with self._database.write(*map(_lock, charges), durable=False) as db:
            for (charge, place), counter in zip(changed, _read(db, charges), strict=True):
                settled = counter.settle(charge.tokens, tokens, place)
                if settled is not counter:
                    _write(db, charge, settled)

    def usage(self, limits: Sequence[Limit], now: float) -> list[CounterUse]:
        """Return the use of each limit, by each of its subjects."""
        used = []
        with self._database.read() as db:
            for limit in limits:
                rows = db.execute(
                    'SELECT subject, state FROM counters WHERE name = ? AND per = ? AND "window" = ? AND until > ? '
                    "ORDER BY subject LIMIT ?",
                    (limit.name, limit.per, limit.window, now, _SHOWN),
                ).fetchall()
                for subject, state in rows:
                    charge = Charge(name=limit.name, per=limit.per, subject=subject, limit=limit)
                    used.append(charge.use(charge.counter(json.loads(state.encode())), now))
        return used


def _lock(charge: Charge) -> str:
    """Return the name of the lock that protects the counter of this charge."""
    return f"counter {json.dumps([charge.name, charge.per, charge.subject, charge.window]).decode()}"


def _read(db: Transaction, charges: Sequence[Charge]) -> list[Counter]:
    """Read the counters of charges. All are requested before the first is awaited."""
    found = [
        db.execute(
            'SELECT state FROM counters WHERE name = ? AND per = ? AND subject = ? AND "window" = ?',
            (charge.name, charge.per, charge.subject, charge.window),
        )
        for charge in charges
    ]
    states = [rows.fetchall() for rows in found]
    return [
        charge.counter(json.loads(state[0][0].encode()) if state else None)
        for charge, state in zip(charges, states, strict=True)
    ]


def _write(db: Transaction, charge: Charge, counter: Counter) -> None:
    db.execute(
        'INSERT INTO counters (name, per, subject, "window", until, state) VALUES (?, ?, ?, ?, ?, ?) '
        'ON CONFLICT (name, per, subject, "window") DO UPDATE SET until = excluded.until, state = excluded.state',
        (
            charge.name,
            charge.per,
            charge.subject,
            charge.window,
            counter.until,
            json.dumps(counter.to_json()).decode(),
        ),
    )
