"""The cellar: the only room with the AWS SDK. It implements the windows of ``ports``."""
