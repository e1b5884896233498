import json, sys
port = int(sys.argv[1])
host = "127.0.0.1:%d"
json.dump({"hosts": {"ps": [host % port, host % (port + 1)], "worker": [host % (port + 2)]}}, open("cluster.json", "w"))
