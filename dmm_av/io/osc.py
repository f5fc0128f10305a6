"""OSC over UDP: the socket of the instrument, its subscribers, and a client.

One thread receives, keeps the order, holds back what has a time tag in the future, and answers from the same
socket. What an address means is in `osc_addresses`, what the bytes mean in `osc_packets`; what an edit does is for
the machine, which gets a `Request` for every packet and must take it without waiting.
"""

import contextlib
import errno
import heapq
import selectors
import socket
import sys
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from itertools import count, takewhile

from dmm_av.errors import DeviceError, DmmError, EditError
from dmm_av.io.osc_addresses import (
    Acknowledge,
    Ping,
    Query,
    Subscribe,
    Unsubscribe,
    covers,
    gather,
    shown_address,
    translate,
)
from dmm_av.io.osc_packets import LARGEST_DATAGRAM, bundle_of, datagram_of, messages_of

PORT = 9129
LOOPBACK = "127.0.0.1"
LONGEST_WAIT_S = 3_600.0  # how far in the future a time tag may lie
MOST_WAITING_BYTES = 4 << 20  # of packets with a time tag in the future
MOST_HELD = 4_096  # numbers on the neuron `osc`
MOST_REPLIES = 2_000  # to one question
MOST_SUBSCRIBERS = 64
MOST_PATTERNS = 32  # of one subscriber
SILENCE_S = 60.0  # after which a subscriber may lose its place to a new one
MOST_SENDERS = 256  # that are remembered: refusals, wishes for `/dmm/done`
SENTENCES_PER_SECOND = 100  # to one sender
LONGEST_SENTENCE = 1_000

_RECEIVE_BUFFER = 4 << 20
_PACKETS_IN_A_ROW = 64
_IP_RECVERR, _MSG_ERRQUEUE = 11, 0x2000  # Linux: how a socket without a peer hears that nobody listens


class OscServer:
    """Receives OSC, hands it on as `Request`, answers the sender.

    deliver    called with each `Request` on the thread of the socket; a `DmmError` it raises is told to the sender
    query      called with a `Query`, returns (address, values) pairs; None: such questions are refused
    forget     called with labels [(label, …)] that have long held the same number, returns those that are let go
    port       the port it has; 0 takes a free one
    warning    a sentence when others than this computer can reach it, or None

    Errors: a sentence when the port or the host cannot be had.
    """

    def __init__(self, host=LOOPBACK, port=PORT, deliver=None, query=None, forget=None):
        self._deliver = deliver
        self._query = query
        self._forget = forget or (lambda labels: [])
        self._socket = _bound_socket(host, port)
        self.host, self.port = self._socket.getsockname()[:2]
        self.warning = _warning(self.host, self.port)
        self.received = 0  # datagrams
        self.refused = 0  # datagrams and bundles answered with a sentence, told or withheld
        self.unsent = 0  # answers that the network did not take
        self.subscriptions = Subscriptions(self.send, self._wake)
        self._refusals = RefusalLimit()
        self._acknowledging = OrderedDict()
        self._held = OrderedDict()  # labels of a number on `osc`: when it last came, the longest ago first
        self._forget_again_at = 0.0
        self._waiting = []  # heap of (due, serial, bytes, request, what the server itself answers)
        self._waiting_bytes = 0
        self._serial = count()
        self._closing = threading.Event()
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._thread = threading.Thread(target=self._serve, name="osc", daemon=True)

    def start(self):
        """Begins to receive; returns the server."""
        self._thread.start()
        return self

    def close(self):
        """Ends the thread and gives the port back."""
        self._closing.set()
        self._wake()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(2.0)
        for one in (self._socket, self._woken, self._waker):
            one.close()

    def __enter__(self):
        return self if self._thread.is_alive() else self.start()

    def __exit__(self, *_):
        self.close()

    # --- answers: from any thread -------------------------------------------------------------

    def send(self, sender, address, values=()):
        """Sends one message from this socket; what the network does not take is counted, never raised."""
        try:
            datagram = datagram_of(address, values)
            for _ in range(3):
                try:
                    self._socket.sendto(datagram, sender)
                    return
                except ConnectionError:  # is about an earlier message, perhaps to somebody else
                    continue
            self.unsent += 1
        except Exception:
            self.unsent += 1

    def reply(self, sender, address, *values):
        """Sends `/dmm/reply address values…`."""
        self.send(sender, "/dmm/reply", (address, *values))

    def refuse(self, sender, address, sentence):
        """Sends `/dmm/error address sentence`, at most SENTENCES_PER_SECOND to one sender."""
        self.refused += 1
        if sender is not None and self._refusals.admits(sender, time.monotonic()):
            self.send(sender, "/dmm/error", (address, str(sentence)[:LONGEST_SENTENCE]))

    def _done(self, sender, address, *details):
        if sender in self._acknowledging:
            self.send(sender, "/dmm/done", (address, *details))

    # --- the thread ---------------------------------------------------------------------------

    def _wake(self):
        with contextlib.suppress(OSError):  # full: it is awake; closed: it has ended
            self._waker.send(b"\0")

    def _serve(self):
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            while not self._closing.is_set():
                ready = {key.fileobj for key, _ in selector.select(self._idle_s(time.monotonic()))}
                if self._woken in ready:
                    with contextlib.suppress(OSError):
                        self._woken.recv(4_096)
                if self._socket in ready:
                    self._receive_some()
                now = time.monotonic()
                while self._waiting and self._waiting[0][0] <= now:
                    _, _, size, request, own = heapq.heappop(self._waiting)
                    self._waiting_bytes -= size
                    self._perform(request, own)
                self.subscriptions.flush(now)
                for sender, withheld in self._refusals.overdue(now):
                    self.send(sender, "/dmm/error", ("*", f"{withheld} more messages were refused in that second."))

    def _idle_s(self, now):
        """How long nothing falls due."""
        due = [self._waiting[0][0] if self._waiting else None, self.subscriptions.due, self._refusals.due]
        return max(0.0, min([1.0, *(at - now for at in due if at is not None)]))

    def _receive_some(self):
        """Takes what has come, but not so much that what is due would have to wait."""
        for taken in range(_PACKETS_IN_A_ROW):
            try:
                datagram, sender = self._socket.recvfrom(LARGEST_DATAGRAM)
            except BlockingIOError:
                if not taken:
                    self._forget_the_unreachable()
                return
            except ConnectionError:
                self._forget_the_unreachable()
                continue
            except OSError:
                self._closing.wait(0.05)  # the interface is down: look again, without haste
                return
            self.received += 1
            self._take(datagram, sender)

    def _take(self, datagram, sender):
        address = "*"
        try:
            messages = messages_of(datagram)
            self.subscriptions.heard_from(sender)
            now, together = time.time(), {}  # a time tag in the past means at once
            for message in messages:
                address = message.address
                items, addresses = together.setdefault(message.time if message.time > now else 0.0, ([], []))
                items += translate(address, message.args)
                addresses.append(address)
            requests = [
                (moment - now if moment else 0.0, *gather(items, sender=sender, addresses=tuple(addresses)))
                for moment, (items, addresses) in sorted(together.items())
            ]
            for ahead, _, _ in requests:
                self._check_delay(ahead, len(datagram))
            for ahead, request, own in requests:
                if ahead:
                    due = time.monotonic() + ahead
                    request = replace(request, due=due)
                    heapq.heappush(self._waiting, (due, next(self._serial), len(datagram), request, own))
                    self._waiting_bytes += len(datagram)
                else:
                    self._perform(request, own)
        except DmmError as refusal:
            self.refuse(sender, address, refusal)
        except Exception as fault:
            self.refuse(sender, address, f"This packet cannot be taken: {fault!r:.200}. Please report it.")

    def _check_delay(self, ahead, size):
        """Errors: a sentence when so many bytes cannot be kept for so many seconds."""
        if ahead > LONGEST_WAIT_S:
            raise EditError(
                f"The time tag lies {ahead:.0f} s in the future, the limit is {LONGEST_WAIT_S:.0f} s. "
                "Compare the clocks, or send it later."
            )
        if ahead and self._waiting_bytes + size > MOST_WAITING_BYTES:
            raise EditError(f"{len(self._waiting)} packets wait for their time already. Send it later.")

    def _perform(self, request, own):
        sender, address = request.sender, request.addresses[0] if request.addresses else "*"
        answer = Answer(self, sender, address, 1 + bool(request.group) + bool(request.commands))
        try:
            self._hold(request.data)
            if request.group or request.commands or request.data:
                group = request.group and replace(request.group, reply=answer)
                self._deliver(replace(request, group=group, reply=answer))
            for item in own:
                self._answer(item, sender)
            answer(None)
        except DmmError as refusal:
            answer(str(refusal))
        except Exception as fault:
            answer(f"{address}: the instrument failed over it: {fault!r:.200}. Please report it.")

    def _hold(self, data):
        """Keeps count of the numbers on `osc`, so that strangers' addresses cannot fill the memory."""
        if not data:
            return
        now = time.monotonic()
        missing = len({item.labels for item in data} - self._held.keys()) + len(self._held) - MOST_HELD
        if missing > 0 and self._make_room(missing, now) < missing:
            raise EditError(f"`osc` holds {MOST_HELD} numbers already. Use addresses that it has.")
        for item in data:
            self._held[item.labels] = now
            self._held.move_to_end(item.labels)

    def _make_room(self, missing, now):
        """Lets go of numbers that have not come for a while; returns of how many."""
        if now < self._forget_again_at:
            return 0
        idle = list(takewhile(lambda labels: now - self._held[labels] >= SILENCE_S, self._held))
        gone = self._forget(idle) if len(idle) >= missing else []
        for labels in gone:
            del self._held[labels]
        if len(gone) < missing:
            self._forget_again_at = now + 1.0  # looking for more with every packet would take too long
        return len(gone)

    def _answer(self, item, sender):
        match item:
            case Query():
                self._answer_query(item, sender)
            case Subscribe():
                self.subscriptions.add(sender, item.pattern, item.rate)
            case Unsubscribe():
                self.subscriptions.remove(sender, item.pattern)
            case Acknowledge(on=True):
                self._acknowledging[sender] = True
                self._acknowledging.move_to_end(sender)
                while len(self._acknowledging) > MOST_SENDERS:
                    self._acknowledging.popitem(last=False)
            case Acknowledge():
                self._acknowledging.pop(sender, None)
            case Ping():
                self.reply(sender, "/dmm/ping", *item.values)

    def _answer_query(self, question, sender):
        if self._query is None:
            raise EditError(f"`{question.pattern}` cannot be answered here.")
        told = 0
        for address, values in self._query(question):
            if told == MOST_REPLIES:
                raise EditError(f"`{question.pattern}` has more than {MOST_REPLIES} answers. Ask for fewer.")
            self.reply(sender, address, *values)
            told += 1
        if not told:
            raise EditError(f"`{question.pattern}` matches nothing.")

    def _forget_the_unreachable(self):
        """Ends what was wished by senders where nobody listens any more."""
        if not sys.platform.startswith("linux"):
            return
        for _ in range(_PACKETS_IN_A_ROW):
            try:
                *_, sender = self._socket.recvmsg(0, 512, _MSG_ERRQUEUE)
            except OSError:
                return
            self.subscriptions.remove(sender)
            self._acknowledging.pop(sender, None)


class Answer:
    """What the parts of a request were answered: the first refusal is told, or that all are done.

    Told are the sample from which the last part is heard, where it has one, and what else is worth knowing.
    """

    def __init__(self, server, sender, address, parts):
        self._server, self._sender, self._address = server, sender, address
        self._left = parts
        self._samples, self._remarks = [], []
        self._lock = threading.Lock()

    def __call__(self, sentence=None, sample=None, remark=None):
        with self._lock:
            if not self._left:
                return
            self._left = 0 if sentence else self._left - 1
            left = self._left
            self._samples += [] if sample is None else [sample]
            self._remarks += [remark] if remark else []
        if sentence:
            self._server.refuse(self._sender, self._address, sentence)
        elif not left:
            told = " ".join(self._remarks)[:LONGEST_SENTENCE]
            sample = max(self._samples, default=None)
            details = [] if sample is None else [sample]
            self._server._done(self._sender, self._address, *details, *([told] if told else []))


class RefusalLimit:
    """Lets SENTENCES_PER_SECOND through to each sender, and counts the others."""

    def __init__(self, most=SENTENCES_PER_SECOND, most_senders=MOST_SENDERS):
        self._most, self._most_senders = most, most_senders
        self._seconds = {}  # sender: [end of its second, told, withheld]
        self._lock = threading.Lock()
        self.due = None  # when there is something for `overdue`

    def admits(self, sender, now):
        """Whether a sentence may go to the sender now."""
        with self._lock:
            second = self._seconds.get(sender)
            if second is None or (now >= second[0] and not second[2]):
                if second is None and len(self._seconds) >= self._most_senders:
                    self._seconds = {who: one for who, one in self._seconds.items() if now < one[0] or one[2]}
                    if len(self._seconds) >= self._most_senders:
                        return False
                second = self._seconds[sender] = [now + 1.0, 0, 0]
            if second[1] < self._most:
                second[1] += 1
                return True
            second[2] += 1
            self.due = second[0] if self.due is None else min(self.due, second[0])
            return False

    def overdue(self, now):
        """[(sender, how many were withheld)] for the seconds that are over."""
        if self.due is None or now < self.due:
            return []
        with self._lock:
            over = [(sender, one[2]) for sender, one in self._seconds.items() if one[2] and now >= one[0]]
            for sender, _ in over:
                del self._seconds[sender]
            self.due = min((one[0] for one in self._seconds.values() if one[2]), default=None)
        return over


class Subscriptions:
    """Who is told of changes, and how often; safe to call from any thread.

    send    called with (sender, address, values)
    wake    called when `flush` has something to do earlier than `due` said
    """

    def __init__(self, send, wake=lambda: None):
        self._send, self._wake = send, wake
        self._patterns = {}  # sender: {pattern: rate}
        self._heard = {}  # sender: when it last sent anything
        self._listeners = {}  # address: [(sender, shown address, seconds between messages)], kept until wishes change
        self._resting = {}  # (sender, shown address): values that wait, or None
        self._wakes = []  # heap of (when, serial, (sender, shown address), seconds between messages)
        self._serial = count()
        self._lock = threading.Lock()

    def __len__(self):
        return len(self._patterns)

    @property
    def due(self):
        """When `flush` next has something to do, or None."""
        return self._wakes[0][0] if self._wakes else None

    def add(self, sender, pattern, rate, now=None):
        """Tells the sender, at most `rate` times a second, of each change under an address that the pattern covers.

        Errors: a sentence when there are too many subscribers or patterns, or when it is no pattern.
        """
        now = time.monotonic() if now is None else now
        covers(pattern, "/")
        with self._lock:
            if sender not in self._patterns and len(self._patterns) >= MOST_SUBSCRIBERS:
                quietest = min(self._patterns, key=self._heard.get)
                if now - self._heard[quietest] < SILENCE_S:
                    raise EditError(f"{MOST_SUBSCRIBERS} listeners have subscribed already. Unsubscribe one.")
                self._remove(quietest)
            patterns = self._patterns.setdefault(sender, {})
            self._heard[sender] = now
            if pattern not in patterns and len(patterns) >= MOST_PATTERNS:
                raise EditError(f"You have {MOST_PATTERNS} subscriptions already. Use a wider pattern.")
            patterns[pattern] = rate
            self._listeners.clear()

    def remove(self, sender, pattern=None):
        """Ends one subscription of the sender, or all of them."""
        with self._lock:
            self._remove(sender, pattern)

    def _remove(self, sender, pattern=None):
        patterns = self._patterns.get(sender)
        if patterns is None:
            return
        patterns.pop(pattern, None)
        if pattern is None or not patterns:
            del self._patterns[sender]
            del self._heard[sender]
            for key in [key for key in self._resting if key[0] == sender]:
                self._resting[key] = None
        self._listeners.clear()

    def heard_from(self, sender, now=None):
        """Notes that the sender is there."""
        if sender in self._heard:
            with self._lock:
                if sender in self._heard:
                    self._heard[sender] = time.monotonic() if now is None else now

    def changed(self, address, values, now=None):
        """Tells the listeners of `address` the values: at once, or when their rate allows it; the last ones win."""
        if not self._patterns:
            return
        now = time.monotonic() if now is None else now
        wake, sends = False, []
        with self._lock:
            for sender, shown, between in self._listeners_of(address):
                key = (sender, shown)
                if key in self._resting:
                    self._resting[key] = values
                    continue
                sends.append((sender, shown, values))
                wake = self._rest(key, now + between, between) or wake
        for one in sends:
            self._send(*one)
        if wake:
            self._wake()

    def _rest(self, key, until, between):
        """Whether this is now the first thing that falls due."""
        self._resting[key] = None
        heapq.heappush(self._wakes, (until, next(self._serial), key, between))
        return self._wakes[0][2] == key

    def _listeners_of(self, address):
        found = self._listeners.get(address)
        if found is None:
            shortest = {}
            for sender, patterns in self._patterns.items():
                for pattern, rate in patterns.items():
                    if covers(pattern, address):
                        key = (sender, shown_address(pattern, address))
                        shortest[key] = min(shortest.get(key, 1e9), 1.0 / rate)
            if len(self._listeners) >= 10_000:
                self._listeners.clear()
            found = self._listeners[address] = [(*key, between) for key, between in shortest.items()]
        return found

    def flush(self, now=None):
        """Sends what waited for its turn."""
        if not self._wakes:
            return
        now = time.monotonic() if now is None else now
        sends = []
        with self._lock:
            while self._wakes and self._wakes[0][0] <= now:
                _, _, key, between = heapq.heappop(self._wakes)
                values = self._resting.pop(key, None)
                if values is not None:
                    sends.append((*key, values))
                    self._rest(key, now + between, between)
        for one in sends:
            self._send(*one)


# --- the other end --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """What came back: `replies` are (address, values), `errors` sentences; `done`: it took effect.

    sample    from which it is heard, where that is known
    remarks   sentences worth knowing although it took effect
    """

    done: bool = False
    errors: tuple = ()
    replies: tuple = ()
    sample: int | None = None
    remarks: tuple = ()

    @property
    def sentences(self):
        """What a player should hear: nothing when all went well and there is nothing to add."""
        if self.done or self.errors:
            return (*self.errors, *self.remarks)
        return ("No answer came in time; it may still take effect. Ask with `/dmm/status`.",)


class OscClient:
    """Sends to an instrument and hears what became of it.

    Errors: a sentence when nothing answers.
    """

    def __init__(self, host=LOOPBACK, port=PORT, timeout=2.0):
        self._where = f"{host}:{port}"
        self._timeout = timeout
        self._greeted = False
        try:
            family, kind, protocol, _, peer = _addresses(host, port)[0]
            self._socket = socket.socket(family, kind, protocol)
            self._socket.connect(peer)
        except (OSError, OverflowError) as error:
            raise DeviceError(f"OSC: `{self._where}` cannot be reached ({error}). Check host and port.") from None
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)

    def close(self):
        """Gives the socket back."""
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, *messages, time=None):
        """Sends (address, values) pairs, several of them as one bundle, and waits for nothing.

        time    when it shall take effect, in seconds since 1970
        """
        if len(messages) == 1 and time is None:
            datagram = datagram_of(*messages[0], exact=True)
        else:
            datagram = bundle_of(messages, time, exact=True)
        if len(datagram) > LARGEST_DATAGRAM - 28:  # the heads of UDP and IP
            raise EditError(f"OSC: {len(datagram)} bytes do not fit into one packet. Send less at a time.")
        try:
            self._socket.send(datagram)
        except ConnectionError:
            raise self._nobody() from None
        except OSError as error:
            raise DeviceError(f"OSC: `{self._where}` cannot be reached ({error}). Check host and port.") from None

    def ask(self, *messages, time=None, timeout=None):
        """Sends, then waits until it has taken effect or was refused; returns what was `Told`."""
        timeout = self._timeout if timeout is None else timeout
        if not self._greeted:
            self._greet()
        for _ in self.heard(0.0):  # what came too late for an earlier question
            pass
        self.send(*messages, time=time)
        return self._hear(messages[0][0], {address for address, _ in messages}, _now() + timeout)

    def _greet(self):
        """Asks for `/dmm/done`, more than once: a datagram may get lost."""
        deadline = _now() + self._timeout
        while not self._greeted:
            if _now() >= deadline:
                raise self._nobody()
            self.send(("/dmm/ack", (1,)))
            self._greeted = self._hear("/dmm/ack", (), min(deadline, _now() + 0.25)).done

    def _hear(self, first, addresses, deadline):
        replies = []
        for address, values in self.heard(deadline):
            about = values[0] if values else ""
            if address == "/dmm/reply":
                replies.append((about, values[1:]))
            elif address == "/dmm/done" and about == first:
                sample = next((value for value in values[1:] if not isinstance(value, str)), None)
                remarks = tuple(value for value in values[1:] if isinstance(value, str))
                return Told(True, (), tuple(replies), sample, remarks)
            elif address == "/dmm/error" and (about in addresses or about == "*"):
                return Told(False, (str(values[1]) if len(values) > 1 else "It was refused.",), tuple(replies))
        return Told(False, (), tuple(replies))

    def heard(self, deadline):
        """(address, values) of the messages that come until the deadline (`time.monotonic`)."""
        while True:
            self._socket.settimeout(max(0.0, deadline - _now()))
            try:
                datagram = self._socket.recv(LARGEST_DATAGRAM)
            except (TimeoutError, BlockingIOError):
                return
            except ConnectionError:
                raise self._nobody() from None
            with contextlib.suppress(DmmError):
                for message in messages_of(datagram):
                    yield message.address, message.args

    def _nobody(self):
        return DeviceError(
            f"OSC: nothing answers at {self._where}. Start `play` there, or name its port with `--osc-port`."
        )


def _now():
    return time.monotonic()


def _addresses(host, port):
    """What a host's name and a port mean, IPv4 first."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    return sorted(found, key=lambda one: one[0] != socket.AF_INET)


def _bound_socket(host, port):
    elsewhere = "Choose another with `--osc-port`; 0 takes a free one."
    if not 0 <= port <= 65_535:
        raise DeviceError(f"OSC: there is no port {port}. {elsewhere}")
    found = None
    try:
        family, kind, protocol, _, here = _addresses(host, port)[0]
        found = socket.socket(family, kind, protocol)
        found.bind(here)
    except (OSError, UnicodeError) as error:
        if found is not None:
            found.close()
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            reason = f"port {port} is taken by another program, perhaps by another `play`. {elsewhere}"
        elif isinstance(error, PermissionError):
            reason = f"port {port} is not for programs like this one. {elsewhere}"
        else:
            reason = f"`{host}` is no address of this computer. Give another with `--osc-host`."
        raise DeviceError(f"OSC: {reason}") from None
    found.setblocking(False)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    if sys.platform.startswith("linux") and family == socket.AF_INET:
        found.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)
    return found


def _warning(host, port):
    if host.startswith("127.") or host == "::1":
        return None
    return (
        f"OSC: port {port} is open to every computer that reaches {host}, and whoever reaches it can rewrite the "
        "patch. Leave out `--osc-host` to close it."
    )
