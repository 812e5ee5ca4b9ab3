"""What one of the replicas does now and then: counting licenses, looking for findings, mails, alerts."""
