/**
 * ECS Exec beside a read-only root. AWS calls the two together unsupported,
 * because the agent writes into the container; users report that it works when
 * the three folders that it writes to are volumes (aws/containers-roadmap#1359,
 * amazon-ecs-exec-checker#71). They live as long as the task. Outside
 * production only; the application has no right to write there in any case.
 */
import type { ContainerDefinition, FargateTaskDefinition } from 'aws-cdk-lib/aws-ecs';

const AGENT_FOLDERS = {
  'exec-agents': '/managed-agents',
  'exec-state': '/var/lib/amazon/ssm',
  'exec-logs': '/var/log/amazon/ssm',
};

export function makeExecPossible(task: FargateTaskDefinition, container: ContainerDefinition): void {
  for (const [name, containerPath] of Object.entries(AGENT_FOLDERS)) {
    task.addVolume({ name });
    container.addMountPoints({ sourceVolume: name, containerPath, readOnly: false });
  }
}
