"""Paint data sets on a local Ray of two CPUs: ray_runs.py FOLDER

FOLDER has weights.safetensors, photos/ and shards/. Prints a JSON object with the exit code and the output of each
command: {name: [code, stdout, stderr]}.
"""

import json
import os
import signal
import sys
from pathlib import Path

import ray
from moto.server import ThreadedMotoServer
from pyarrow.fs import FileSelector, LocalFileSystem, S3FileSystem, copy_files
from typer.testing import CliRunner

from multistyle.cli import app
from multistyle.datasets import ray as on_ray

LOCAL = "127.0.0.1"
FOLDER = Path(sys.argv[1])
SERVER = ThreadedMotoServer(LOCAL, 0, verbose=False)
results = {}


class DyingOnce(on_ray.Painter):
    """Its process is killed in the middle of a share, the first time."""

    flag = FOLDER / "died"

    def pictures(self, batch):
        for outcome in super().pictures(batch):
            if not self.flag.exists():
                self.flag.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            yield outcome


class DyingOfOne(on_ray.Painter):
    """One picture kills every process that paints it."""

    attempts_allowed = 1

    def pictures(self, batch):
        if b"00.png" in list(batch["name"]):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().pictures(batch)


def run(name, source, target, *options):
    arguments = ["folder", str(source), str(target), *options, "--ray", "auto"]
    done = CliRunner().invoke(app, [*arguments, "--weights", str(FOLDER / "weights.safetensors")])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    results[name] = [done.exit_code, done.stdout, done.stderr]


def folders():
    random = ["--mix", "random", "--seed", "3", "--copies", "2"]
    whole = on_ray._batches

    def interrupted(*arguments):
        batches = whole(*arguments)
        yield next(batches)
        batches.close()
        raise KeyboardInterrupt

    on_ray._batches = interrupted
    run("interrupted", FOLDER / "photos", FOLDER / "out", *random)
    on_ray._batches = whole
    painter, on_ray.Painter = on_ray.Painter, DyingOnce
    run("killed", FOLDER / "photos", FOLDER / "out", *random)
    on_ray.Painter = DyingOfOne
    run("dying", FOLDER / "photos", FOLDER / "dying", "--mix", "wave")
    on_ray.Painter = painter


def buckets():
    host, port = SERVER.get_host_and_port()
    options = f"?scheme=http&endpoint_override={host}:{port}&region=us-east-1&allow_bucket_creation=true"
    s3 = S3FileSystem(endpoint_override=f"{host}:{port}", scheme="http", region="us-east-1", allow_bucket_creation=True)
    for bucket in ("photos", "paintings"):
        s3.create_dir(bucket)
    copy_files(str(FOLDER / "photos"), "photos/all", source_filesystem=LocalFileSystem(), destination_filesystem=s3)
    random = ["--mix", "random", "--seed", "3"]
    run("bucket", f"s3://photos/all{options}", f"s3://paintings/all{options}", *random)
    run("bucket again", f"s3://photos/all{options}", f"s3://paintings/all{options}", *random)
    run("no bucket", f"s3://missing/photos{options}", f"s3://paintings/other{options}")
    run("shards", FOLDER / "shards", f"s3://paintings/shards{options}", *random, "--copies", "2")
    copy_files("paintings", str(FOLDER / "bucket"), source_filesystem=s3, destination_filesystem=LocalFileSystem())
    results["objects"] = sorted(file.path for file in s3.get_file_info(FileSelector("paintings", recursive=True)))


SERVER.start()
ray.init(
    address="local",
    num_cpus=2,
    include_dashboard=False,
    log_to_driver=False,
    logging_level="ERROR",
    object_store_memory=100 << 20,
    _node_ip_address=LOCAL,
)
try:
    folders()
    buckets()
finally:
    ray.shutdown()
    SERVER.stop()
print(json.dumps(results))
