"""Updates over a thin link: patches between bundles, and files in packets.

varint  numbers of a byte stream, read within its bounds
splice  any content from pieces of others        tensors  a safetensors file from an older one
patch   a bundle's entries from an older bundle's  install  a patch applied to files, or nothing changed
packets a file in checksummed pieces               mailbox  those pieces in a folder
"""
