#!/bin/sh
# No include points upward or sideways.
exec tools/floors
