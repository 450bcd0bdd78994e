"""The bus: messages, their wire, topics, frames and streams."""
