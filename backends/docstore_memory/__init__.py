"""The backend that keeps everything in this process' memory."""
