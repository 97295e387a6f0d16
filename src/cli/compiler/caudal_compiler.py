"""Compiles pipelines written in Python with the SDK that the user's own Python has.

Started by `caudal` in two ways, with descriptors it inherits:

    serve FD FOLDER NAME INODE   accepts on a listening socket, FOLDER/NAME, for as long as that is
                                 the file with INODE; keeps the SDK imported and forks for each
                                 request, so that no request sees what another one loaded
    once FD                      answers the one request on a connection

A request is two lengths (little-endian, 4 bytes each), JSON and a block of NAME=value words that end
in NUL: the caller's environment; a descriptor for what the user's code prints travels beside it. The
answer is one byte at once, then a length and JSON: {"error"} or {"package", "functions", "sdk"}.
Runs on every Python that the SDK supports (3.7 on); never part of a step.
"""

import gc
import importlib.machinery
import importlib.util
import inspect
import json
import os
import select
import signal
import socket
import struct
import sys
import sysconfig
import tempfile
import textwrap
import threading
import time
import traceback
import types
import warnings

IDLE_SECONDS = 15 * 60
LOOK_SECONDS = 2
HELLO = b'+'
MOST_BYTES = 64 << 20
_OWN_FILE = os.path.abspath(__file__) if '__file__' in globals() else '<string>'

components_made = []  # functions of Python components, in the order of their decorators


class Fault(Exception):
    """What is wrong with the input, in words for the user."""


# --- The SDK.


def import_sdk():
    """The SDK's version. Raises Fault where there is none."""
    try:
        import kfp
    except ModuleNotFoundError as error:
        if error.name != 'kfp':
            raise Fault('%s cannot import kfp: %s' % (sys.executable, error)) from None
        raise Fault(no_sdk()) from None
    version = getattr(kfp, '__version__', '')
    if version.startswith(('0.', '1.')):
        raise Fault('%s has kfp %s, which is too old; upgrade it: %s -m pip install --upgrade kfp' %
                    (sys.executable, version, sys.executable))
    try:
        import kfp.compiler
        import kfp.dsl
    except Exception as error:  # an installation that is broken in any way
        raise Fault('%s cannot import kfp %s: %s: %s' %
                    (sys.executable, version, type(error).__name__, error)) from None
    watch_components()
    return version


def no_sdk():
    python = '%s (Python %d.%d)' % (sys.executable, *sys.version_info[:2])
    if sys.prefix != sys.base_prefix:
        return '%s has no kfp; install it: %s -m pip install kfp' % (python, sys.executable)
    return '%s has no kfp; make an environment here that has it: %s -m venv .venv && .venv/bin/pip install kfp' % (
        python, sys.executable)


def watch_components():
    """Notes the function of every Python component from here on."""
    for name in ('kfp.dsl.python_component', 'kfp.components.python_component'):
        made = getattr(sys.modules.get(name), 'PythonComponent', None)
        if made is None or hasattr(made, 'caudal_init'):
            continue
        made.caudal_init = made.__init__

        def note(self, *args, **kwargs):
            type(self).caudal_init(self, *args, **kwargs)
            function = getattr(self, 'python_func', None)
            if inspect.isfunction(function):
                components_made.append(function)

        made.__init__ = note


def installed():
    """Differs once a package has been installed, removed or upgraded, or the Python replaced."""
    places = [p for p in sys.path if os.path.basename(p) in ('site-packages', 'dist-packages')]
    found = []
    for place in [*places, sys.executable]:
        try:
            info = os.stat(place)
            found.append((place, info.st_ino, info.st_mtime_ns))
        except OSError:
            found.append((place, 0, 0))
    return found


# --- What is in the user's file.


def load(path):
    """The user's file as a module, run as `import` would: not as __main__.

    No bytecode is read or written for it: two saves within a second would look the same."""
    name = os.path.splitext(os.path.basename(path))[0]
    if name in sys.modules:
        name += '_'
    with open(path, 'rb') as file:
        source = file.read()
    loader = importlib.machinery.SourceFileLoader(name, path)
    module = types.ModuleType(name)
    module.__file__ = path
    module.__loader__ = loader
    module.__spec__ = importlib.util.spec_from_file_location(name, path, loader=loader)
    sys.modules[name] = module
    exec(compile(source, path, 'exec', dont_inherit=True), module.__dict__)
    return module


def kind_of(value):
    """'pipeline', 'component' or ''. By name: the classes have moved between versions."""
    names = [base.__name__ for base in type(value).__mro__]
    if 'GraphComponent' in names:
        return 'pipeline'
    return 'component' if 'BaseComponent' in names else ''


def is_own(module, value):
    for attribute in ('pipeline_func', 'python_func'):
        function = getattr(value, attribute, None)
        if function is not None:
            return getattr(function, '__module__', '') == module.__name__
    return True


def find_all(module, kind):
    """Name to object, those that the file itself defines; imported ones where it defines none."""
    found = {}
    for name, value in vars(module).items():
        if kind_of(value) == kind and not any(value is other for other in found.values()):
            found[name] = value
    own = {name: value for name, value in found.items() if is_own(module, value)}
    return own or found


def choose(module, shown, function):
    pipelines, components = find_all(module, 'pipeline'), find_all(module, 'component')
    known = list(pipelines) + list(components)
    if function:
        value = getattr(module, function, None)
        if value is not None and kind_of(value):
            return value
        what = 'is no pipeline or component' if value is not None else 'does not exist'
        there = 'there is: ' + ', '.join(known) if known else 'the file has none'
        raise Fault("'%s' in '%s' %s; %s" % (function, shown, what, there))
    for word, found in (('pipelines', pipelines), ('components and no pipeline', components)):
        if len(found) == 1:
            return next(iter(found.values()))
        if found:
            raise Fault("'%s' has %d %s: %s; name one: caudal run %s:%s" %
                        (shown, len(found), word, ', '.join(found), shown, next(iter(found))))
    raise Fault("'%s' defines no pipeline; decorate a function with @dsl.pipeline" % shown)


def write_package(target):
    """The text that the SDK's own compiler writes."""
    import kfp.compiler
    with tempfile.TemporaryDirectory(prefix='caudal-') as folder:
        path = os.path.join(folder, 'pipeline.yaml')
        kfp.compiler.Compiler().compile(target, path)
        with open(path, encoding='utf-8') as file:
            return file.read()


# --- Where functions stand in the user's files.


def source_words(package):
    """Every word of a command that holds Python source."""
    import yaml
    loader = getattr(yaml, 'CSafeLoader', yaml.SafeLoader)
    words = []
    for document in yaml.load_all(package, Loader=loader):
        executors = ((document or {}).get('deploymentSpec') or {}).get('executors') or {}
        for executor in executors.values():
            command = ((executor or {}).get('container') or {}).get('command') or []
            words += [w for w in command if isinstance(w, str) and '\ndef ' in '\n' + w]
    return words


def place_of(function, words):
    """Where `function` stands in its file and in the source word that was made of it, or None."""
    try:
        lines, first = inspect.getsourcelines(function)
        file = inspect.getsourcefile(function)
    except (OSError, TypeError):
        return None
    text = textwrap.dedent(''.join(lines)).split('\n')
    start = next((i for i, line in enumerate(text) if line.startswith('def ')), None)
    if start is None:
        return None
    body = '\n'.join(text[start:]).rstrip('\n')
    for word in words:
        at = ('\n' + word).find('\n' + body)
        if at >= 0:
            return {'function': function.__name__, 'file': shown_path(file),
                    'file_line': first + start, 'source_line': word.count('\n', 0, at) + 1,
                    'line_count': body.count('\n') + 1}
    return None


def places(package):
    functions = components_made
    if not functions:
        return []
    words = source_words(package)
    found = []
    for function in functions:
        place = place_of(function, words)
        if place and place not in found:
            found.append(place)
    return found


def shown_path(path):
    """As the user would open it: relative where it lies below the working directory."""
    relative = os.path.relpath(path)
    return os.path.abspath(path) if relative.startswith('..') else relative


# --- Exceptions of the user's code.


def is_users(path):
    if path.startswith('<') or os.path.abspath(path) == _OWN_FILE:
        return False
    if '/site-packages/' in path or '/dist-packages/' in path:
        return False
    library = sysconfig.get_paths()
    return not any(path.startswith(library[name] + os.sep) for name in ('stdlib', 'platstdlib'))


def keep_users_frames(told):
    """Leaves out of a TracebackException what is not the user's."""
    seen = set()
    while told is not None and id(told) not in seen:
        seen.add(id(told))
        frames = [frame for frame in told.stack if is_users(frame.filename)]
        for frame in frames:
            frame.line  # read while the path is still the real one
            frame.filename = shown_path(frame.filename)
        told.stack[:] = frames
        if getattr(told, 'filename', None):
            told.filename = shown_path(told.filename)
        if told.__cause__ is not None:
            keep_users_frames(told.__cause__)
        told = told.__context__


def explain(error, shown):
    if isinstance(error, SystemExit):
        return "'%s' ended with sys.exit(%r) while it was loaded; put that below: if __name__ == '__main__':" % (
            shown, error.code)
    told = traceback.TracebackException.from_exception(error)
    keep_users_frames(told)
    lines = '\n'.join('  ' + line for line in ''.join(told.format()).rstrip('\n').split('\n'))
    return "'%s' cannot be compiled:\n%s" % (shown, lines)


# --- Warming up.


def say(text: str = '') -> str:
    """Gives back a text.

    Args:
        text: The text.
    """
    return text


def exercise():
    """Compiles a pipeline once: the SDK and what it uses do much at first use only."""
    try:
        from kfp import dsl
        step = dsl.component(base_image='python:3.11')(say)

        def exercised(text: str = '') -> str:
            return step(text=text).output

        places(write_package(dsl.pipeline(name='exercise')(exercised)))
    except Exception:
        traceback.print_exc()  # into the log; only time is lost
    components_made.clear()


# --- One request.


def compile_file(request, sdk):
    path, shown = request['file'], request['shown']
    sys.path.insert(0, os.path.dirname(path))
    sys.argv = [path]
    sys.dont_write_bytecode = True
    # Once per component, about an image that is advice here.
    warnings.filterwarnings('ignore', 'The default base_image used by', FutureWarning)
    try:
        target = choose(load(path), shown, request.get('function', ''))
        package = write_package(target)
        return {'package': package, 'functions': places(package), 'sdk': sdk}
    except Fault as fault:
        return {'error': str(fault)}
    except BaseException as error:
        return {'error': explain(error, shown)}
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                pass


def read_exactly(connection, size, data=b''):
    while len(data) < size:
        more = connection.recv(min(size - len(data), 1 << 20))
        if not more:
            raise EOFError
        data += more
    return data


def receive(connection):
    """The request, the environment as a list of NAME=value, the descriptor for output."""
    ints = struct.Struct('i')
    data, extra, _, _ = connection.recvmsg(8, socket.CMSG_SPACE(ints.size))
    descriptors = [ints.unpack(item[:ints.size])[0] for level, kind, item in extra
                   if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS]
    sizes = struct.unpack('<II', read_exactly(connection, 8, data))
    if sum(sizes) > MOST_BYTES:
        raise EOFError
    request = json.loads(read_exactly(connection, sizes[0]).decode('utf-8'))
    variables = [word for word in read_exactly(connection, sizes[1]).split(b'\0') if word]
    return request, variables, descriptors[0] if descriptors else None


def take_surroundings(request, variables, output):
    """Becomes, as far as user code can tell, a process that the caller started."""
    os.environb.clear()
    for word in variables:
        name, _, value = word.partition(b'=')
        os.environb[name] = value
    time.tzset()
    tempfile.tempdir = None  # chosen anew: the one before was TMPDIR of the first caller
    os.chdir(request['cwd'])
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(output if output is not None else null, 1)
    os.dup2(1, 2)
    # Made anew: those of the start may have had a file that can seek, and fail on a terminal.
    for name, descriptor in (('stdout', 1), ('stderr', 2)):
        setattr(sys, name, open(descriptor, 'w', buffering=1, encoding='utf-8',
                                errors='backslashreplace', closefd=False))


def send(connection, answer):
    data = json.dumps(answer).encode('ascii', 'replace')
    connection.sendall(struct.pack('<I', len(data)) + data)


def die_with(connection):
    """Ends our process group when the caller hangs up: nobody waits for the answer."""
    os.setpgid(0, 0)

    def watch():
        hung_up = select.poll()
        hung_up.register(connection, 0)  # tells the end only, not data
        hung_up.poll()
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def handle(connection, sdk, server=0):
    """One request from its first byte to its answer. `server` is the pid that `stop` ends."""
    connection.sendall(HELLO)
    request, variables, output = receive(connection)
    if request.get('stop'):
        if server:
            os.kill(server, signal.SIGTERM)
        return
    if server:
        die_with(connection)
    try:
        take_surroundings(request, variables, output)
    except OSError as error:
        sdk = Fault('the SDK cannot work here: %s' % error)
    answer = {'error': str(sdk)} if isinstance(sdk, Fault) else compile_file(request, sdk)
    send(connection, answer)


# --- The server.


def is_callers(connection):
    """Whether our own user is at the other end."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return struct.unpack('3i', credentials)[1] == os.getuid()


def is_still(path, inode):
    try:
        return os.stat(path).st_ino == inode
    except OSError:
        return False


def fork_for(connection, listener, sdk):
    server = os.getpid()
    if os.fork() != 0:
        return
    try:
        listener.close()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        handle(connection, sdk, server)
    except (EOFError, OSError, ValueError):
        pass  # the caller has gone, or is none of ours
    finally:
        os._exit(0)


def serve(listener, path, inode):
    try:
        sdk = import_sdk()
    except Fault:
        return 1  # the caller finds out by itself, and says so
    exercise()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    began_with = installed()
    gc.collect()
    gc.freeze()  # keeps the pages of the SDK shared with the forks
    last = time.monotonic()
    while time.monotonic() - last < IDLE_SECONDS:
        ready = select.select([listener], [], [], LOOK_SECONDS)[0]
        if not ready:
            if not is_still(path, inode):
                break
            continue
        if installed() != began_with:
            # Who waits is answered by the new SDK.
            os.set_inheritable(listener.fileno(), True)
            os.execv(sys.executable, [sys.executable, *sys.argv])
        connection = listener.accept()[0]
        last = time.monotonic()
        if is_callers(connection):
            fork_for(connection, listener, sdk)
        connection.close()
    if is_still(path, inode):
        os.unlink(path)
    return 0


def once(connection):
    try:
        sdk = import_sdk()
    except Fault as fault:
        sdk = fault
    handle(connection, sdk)
    return 0


def main(words):
    if sys.path and sys.path[0] in ('', os.path.dirname(_OWN_FILE)):
        del sys.path[0]
    given = socket.socket(fileno=int(words[1]))
    given.set_inheritable(False)
    if words[0] == 'once':
        return once(given)
    return serve(given, os.path.join(words[2], words[3]), int(words[4]))


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
