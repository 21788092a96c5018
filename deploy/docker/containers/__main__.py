import sys

from containers.cli import main

sys.exit(main(sys.argv[1:]))
