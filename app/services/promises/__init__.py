"""The promises of the privacy policy: what each says, whether it holds, and since when. See docs/promises.md."""
