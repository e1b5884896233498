# ruff: noqa: E501 (the tables hold log lines as they are)
"""Texts with secrets in them, made here, and texts that only look as if they had some."""

from __future__ import annotations

import base64
import hashlib
import random
import string

DICE = random.Random(1712)


def _chars(count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(DICE.choice(alphabet) for _ in range(count))


HEX = string.digits + "abcdef"
UPPER = string.ascii_uppercase + string.digits
WEAK = "hunter" + "2!pw"  # nothing about it but its name says that it is a secret


def _jwt() -> str:
    parts = (b'{"alg":"HS256","typ":"JWT"}', b'{"sub":"1234567890","name":"x"}', DICE.randbytes(32))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def private_key(words: str = "RSA PRIVATE KEY", lines: int = 6) -> list[str]:
    body = [base64.b64encode(DICE.randbytes(48)).decode() for _ in range(lines)] + [_chars(22) + "=="]
    return [f"-----BEGIN {words}-----", *body, f"-----END {words}-----"]


def planted() -> dict[str, tuple[str, str]]:
    """Name -> text with a secret in it, and the secret. Made here, so that no scanner takes them for real."""
    table: dict[str, tuple[str, str]] = {}

    def add(name: str, template: str, secret: str) -> None:
        assert name not in table
        table[name] = (template.replace("{}", secret), secret)

    for name, template in {
        "flag": "--db_password {}",
        "flag with =": "--token={}",
        "one dash": "-password {} --steps 5",
        "secret flag": "--client-secret={} --steps=5",
        "environment": "MYSQL_PASSWORD={}",
        "exported": "export API_KEY={}; python train.py",
        "environment quoted": 'DB_PASS="{}" python train.py',
        "camel case": "dbPassword={}",
        "json": '{"user": "bob", "password": "{}"}',
        "python dict": "{'password': '{}', 'steps': 5}",
        "escaped json": 'config "{\\"api_key\\": \\"{}\\", \\"x\\": 1}"',
        "python argv": "argv = ['train.py', '--password', '{}', '--steps', '5']",
        "python pair": "[('secret', '{}'), ('x', 1)]",
        "os.environ": "os.environ['SECRET_TOKEN'] = '{}'",
        "yaml": "  password: {}",
        "kwargs": "connect(host='db', password='{}', port=5432)",
        "call": "Client(api_key={}, retries=3)",
        "url": "postgresql://bob:{}@db.example.com:5432/train",
        "url without user": "redis://:{}@cache:6379/0",
        "mongodb": "mongodb+srv://bob:{}@cluster0.example.net/db?retryWrites=true",
        "proxy": "http_proxy=http://bob:{}@proxy:3128",
        "amqp": "amqp://guest:{}@mq:5672//",
        "jdbc": "jdbc:mysql://db:3306/train?user=bob&password={}&ssl=true",
        "libpq": "host=db port=5432 user=bob password={} dbname=train",
        "odbc": "Driver={x};Server=db;Uid=bob;Pwd={};Encrypt=yes",
        "query": "GET https://api.example.com/v1?x=1&access_token={}&y=2",
        "query api key": "https://api.example.com/v1?api_key={}",
        "signed short": "https://store.example.com/a?sig={}&x=1",
        "netrc": "machine api.example.com login bob password {}",
        "curl": "curl -u bob:{} https://example.com",
        "sshpass": "sshpass -p {} ssh bob@host",
        "cookie": "Cookie: session={}; theme=dark",
        "set-cookie": "Set-Cookie: sid={}; Path=/",
        "x-api-key": "X-Api-Key: {}",
        "authorization odd": "Authorization: Custom {}",
        "hadoop xml": "<name>fs.s3a.secret.key</name><value>{}</value>",
        "credential": "--credential={}",
        "auth": "--auth {}",
        "auth token": "X-Auth-Token: {}",
        "passphrase": "ssh_passphrase = '{}'",
        "pair of user and password": "{'auth': ('bob', '{}')}",
        "docker login": "docker login -u bob -p {} registry.example.com",
    }.items():
        add(name, template, WEAK)
    aws, b64 = "AK" + "IA" + _chars(16, UPPER), base64.b64encode(DICE.randbytes(36)).decode()
    add("aws key", "using {} from the profile", aws)
    add("aws temporary key", "creds {}", "AS" + "IA" + _chars(16, UPPER))
    add("aws secret", "aws_secret_access_key = {}", _chars(40, string.ascii_letters + string.digits + "/+"))
    add("aws secret alone", "loaded {}", "wJalr7XUtn" + "FEMIaK7MDENGbPx" + "RfiCYq3EKLmRZ8d")
    add(
        "aws header",
        "AWS4-HMAC-SHA256 Credential={}",
        f"{aws}/20260101/us-east-1/s3/aws4_request, Signature=ab",
    )
    add("s3 signed", "https://b.s3.amazonaws.com/k?X-Amz-Signature={}&X-Amz-Expires=60", _chars(64, HEX))
    add("s3 signed credential", "https://b/k?X-Amz-Credential={}", aws + "%2F20260101%2Fus-east-1%2Fs3")
    add("s3 signed v2", "https://b/k?AWSAccessKeyId={}&Expires=1", aws)
    add("gcs signed", "https://storage.googleapis.com/b/k?X-Goog-Signature={}", _chars(128, HEX))
    add(
        "azure sas",
        "https://a.blob.core.windows.net/c?sv=2020-08-04&se=2026&sig={}",
        _chars(20) + "%2F" + _chars(20) + "%3D",
    )
    add("azure storage", "DefaultEndpointsProtocol=https;AccountName=a;AccountKey={};EndpointSuffix=x", b64)
    add("service bus", "Endpoint=sb://a/;SharedAccessKeyName=root;SharedAccessKey={}", _chars(43) + "=")
    add("bearer", "Authorization: Bearer {}", _chars(30))
    add("bearer alone", "header Bearer {} sent", _chars(30))
    add("basic", "Authorization: Basic {}", base64.b64encode(b"bob:" + WEAK.encode()).decode())
    add("basic in dict", "{'Authorization': 'Basic {}'}", base64.b64encode(b"bob:" + WEAK.encode()).decode())
    add("negotiate", "Negotiate {}", "YII" + _chars(60))
    add("github", "remote {}", "gh" + "p_" + _chars(36))
    add("github fine-grained", "remote {}", "github" + "_pat_" + _chars(22) + "_" + _chars(59))
    add("github url", "https://{}@github.com/a/b.git", "gh" + "s_" + _chars(36))
    add("gitlab", "using {}", "gl" + "pat-" + _chars(20))
    add("slack", "notify {}", "xo" + "xb-" + _chars(12, string.digits) + "-" + _chars(24))
    add(
        "slack webhook",
        "https://hooks.slack.com/services/{}",
        "T" + _chars(8, UPPER) + "/B" + _chars(8, UPPER) + "/" + _chars(24),
    )
    add("huggingface", "logged in with {}", "h" + "f_" + _chars(34))
    add("openai", "key {}", "s" + "k-" + _chars(48))
    add("openai project", "key {}", "s" + "k-proj-" + _chars(60))
    add("wandb variable", "WANDB_API_KEY={}", _chars(40, HEX))
    add("wandb login", "wandb login --relogin {}", _chars(40, HEX))
    add("npm", "//registry.npmjs.org/:_authToken={}", "np" + "m_" + _chars(36))
    add("pypi", "upload with {}", "py" + "pi-AgEIcHlwaS5vcmc" + _chars(60))
    add("google api", "maps {}", "AI" + "za" + _chars(35))
    add("google oauth", "got {}", "ya" + "29." + _chars(60))
    add("nvidia", "ngc {}", "nv" + "api-" + _chars(64))
    add("stripe", "pay {}", "sk" + "_live_" + _chars(24))
    add("vault", "vault {}", "hv" + "s." + _chars(24))
    add("databricks", "dbx {}", "da" + "pi" + _chars(32, HEX))
    add("jwt", "session {}", _jwt())
    add("jwt in url", "wss://x/socket?jwt={}", _jwt())
    add("service account", '"private_key": "{}"', "\\n".join(private_key("PRIVATE KEY")) + "\\n")
    add("pem", "key:\n{}\ndone", "\n".join(private_key()))
    add("openssh", "{}", "\n".join(private_key("OPENSSH PRIVATE KEY")))
    add("shadow", "bob:{}:19000:0", "$6$" + _chars(8) + "$" + _chars(60))
    add("random base64", "nonce {} used", b64)
    add("random", "opaque {} used", "k9Xq2Lm8Rt4Zw7Bv3Ny6" + "Hc1Jd5Gf0Ps")
    add("webhdfs", "http://nn:9870/webhdfs/v1/a?op=OPEN&delegation={}", "HAAEaGRmcwRo" + _chars(40))
    add(
        "delegation token",
        "Token(kind=HDFS_DELEGATION_TOKEN, ident: {})",
        " ".join(_chars(2, HEX) for _ in range(20)),
    )
    return table


PLANTED = planted()

READABLE = [
    "2026-01-02 03:04:05.678901: I tensorflow/core/distributed_runtime/master_session.cc:1161] Start master session "
    "87a9f3c0d4e5b612 with config: gpu_options { allow_growth: true }",
    "I tensorflow/core/distributed_runtime/rpc/grpc_channel.cc:215] Initialize GrpcChannelCache for job ps -> {0 -> "
    "10.0.0.1:2222, 1 -> localhost:2223}",
    "INFO:tensorflow:loss = 0.31326166, step = 1201 (0.214 sec)",
    "INFO:tensorflow:Saving checkpoints for 1200 into /mnt/models/run_2026-01-02T03-04-05/model.ckpt.",
    "W tensorflow/core/framework/op_kernel.cc:1273] OP_REQUIRES failed at iterator_ops.cc:891 : Out of range: End of sequence",
    "tensorflow.python.framework.errors_impl.OutOfRangeError: End of sequence\n\t [[{{node IteratorGetNext}}]]",
    "CancelledError: From /job:worker/replica:0/task:3: Step was cancelled by an explicit call to Session::Close().",
    "_ZN10tensorflow12_GLOBAL__N_121RepeatDatasetOp7Dataset13FiniteIterator15GetNextInternalEPNS_15IteratorContextE",
    "_ZNSt17_Function_handlerIFvvEZN5Eigen26NonBlockingThreadPoolTemplIN10tensorflow6thread16EigenEnvironmentEE",
    "_RNvNtCs1234_7mycrate3foo3bar",
    "tensorflow::data::(anonymous namespace)::ParallelMapDatasetOp::Dataset::Iterator::GetNextInternal",
    "std::condition_variable::wait(std::unique_lock<std::mutex>&)",
    "__pthread_cond_timedwait_2_3_2",
    "pthread_cond_wait@@GLIBC_2.3.2",
    "/usr/lib/x86_64-linux-gnu/libpthread-2.31.so",
    "/opt/conda/lib/python3.7/site-packages/tensorflow_core/python/_pywrap_tensorflow_internal.so",
    "/usr/lib/python3.11/tokenize.py:123",
    "/site-packages/google/auth/transport/requests.py:555",
    'File "/usr/lib/python3/secrets.py", line 12, in token_hex',
    "/var/lib/docker/overlay2/" + hashlib.sha256(b"x").hexdigest() + "/merged",
    "BuildID[sha1]=" + hashlib.sha1(b"x").hexdigest(),
    "commit " + hashlib.sha1(b"y").hexdigest(),
    "sha256:" + hashlib.sha256(b"z").hexdigest(),
    "md5 " + hashlib.md5(b"z").hexdigest(),
    "pod 3f0b6e0e-52c4-4f0c-9d55-0d6b2d1f7c3e on node gke-train-pool-1-7d9f8b6c5d-x2x9z",
    "0x7ffd2b1c9a40 in poll () from /lib64/libc.so.6",
    "wchan=futex_wait_queue_me syscall=202 state=S voluntary=12345",
    "10.0.0.12:2222 -> 10.0.0.13:48212 ESTABLISHED unacked=3 retransmits=5",
    "[fe80::1ff:fe23:4567:890a]:2222",
    "python -u train.py --job_name=worker --task_index=3 --ps_hosts=ps0:2222,ps1:2222 --num_tokens=512",
    "--max_tokens 4096 --tokenizer bert-base-uncased --pad_token=<pad> --token_type_ids=2",
    "use_auth_token=True password=None token=null auth=False",
    "NCCL version 2.18.3+cuda12.1 tensorflow-gpu==1.15.5 google-auth==2.23.0",
    "PWD=/home/bob/train OLDPWD=/tmp HOME=/home/bob USER=bob HOSTNAME=train-0",
    "grpcpp_sync_server ThreadPoolForge tf_data_iterator_resource",
    "MultiWorkerMirroredStrategyExtendedCollectiveAllReduce",
    "InceptionV3/Mixed_7c/Branch_2/Conv2d_0d_3x1/BatchNorm/moving_variance",
    "gradients/resnet50/conv5_block3_3_conv/Conv2D_grad/Conv2DBackpropFilter",
    "hdfs://namenode:8020/user/bob/part-r-00000-2f4c8e1b-3a5d-4c6e-9f70-1b2c3d4e5f60.tfrecord",
    "s3://bucket/train/year=2026/month=01/day=02/part-00000.parquet",
    "gs://bucket/model.ckpt-1200.data-00000-of-00001",
    "http://10.0.0.1:8080/metrics?step=100",
    "git@github.com:tensorflow/tensorflow.git ssh://git@github.com/a/b",
    "docker.io/library/python:3.11-slim@sha256:" + hashlib.sha256(b"img").hexdigest(),
    "Linux train-0 5.15.0-1051-aws #56~20.04.1-Ubuntu SMP x86_64",
    "Author: Bob <bob@example.com>",
    "author=bob authority=example.com",
    'File "<string>", line 1, in <module>',
    "ValueError: Unexpected token: end of line",
    "forward_pass=0.12 backward_pass=0.40",
    "SyncReplicasOptimizer sync_token_q tokens_per_step=2",
    "sync_rep_local_step/sync_token_q_Dequeue: waits for a token",
    "the password prompt was not shown",
    "Basic understanding of the Negotiate protocol",
    "key: worker value: 3 keys=12",
    "CPU: Intel(R) Xeon(R) Platinum 8259CL CPU @ 2.50GHz",
    "I0102 03:04:05.678901 12345 ProcessGroupNCCL.cpp:874] [Rank 3] Watchdog caught collective operation timeout: "
    "WorkNCCL(SeqNum=1234, OpType=ALLREDUCE, NumelIn=1048576, Timeout(ms)=600000) ran for 600123 milliseconds",
]
