"""What the chat function needs to know."""

from shared.settings import CompletionSettings


class ChatSettings(CompletionSettings):
    """`max_body_bytes`: a longer body is refused."""

    max_body_bytes: int = 10 * 1024 * 1024
