"""Print the protocol's token dictionary anew, from the npm package `baileys` (MIT; its notice stands in the README).

    npm pack baileys@7.0.0-rc14 && tar xzf baileys-*.tgz
    node --input-type=module -e "$(python tests/emulator/dictionary.py)" package/lib/WABinary/constants.js

writes `tokens.json` to the standard output. Take it again when the dictionary's version in a connection's first bytes
moves (`WA` 6 3 now: the last byte).
"""

SCRIPT = """
const { pathToFileURL } = await import('node:url');
const tokens = await import(pathToFileURL(process.argv[1]).href);
console.log(JSON.stringify({ single: tokens.SINGLE_BYTE_TOKENS.map(t => t ?? ''), double: tokens.DOUBLE_BYTE_TOKENS }));
"""

if __name__ == "__main__":
    print(SCRIPT)
