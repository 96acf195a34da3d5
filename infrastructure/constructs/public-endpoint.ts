/**
 * The way in from the internet: load balancer, listeners, target group, DNS
 * record, and in production access logs and a firewall.
 */
import { Duration } from 'aws-cdk-lib';
import type { ICertificate } from 'aws-cdk-lib/aws-certificatemanager';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import type { FargateService } from 'aws-cdk-lib/aws-ecs';
import * as elbv2 from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import * as route53 from 'aws-cdk-lib/aws-route53';
import { LoadBalancerTarget } from 'aws-cdk-lib/aws-route53-targets';
import { Construct } from 'constructs';
import type { Config } from '../config/config.ts';
import type { AlarmTopic } from './alarm-topic.ts';
import { BALANCER_IDLE_SECONDS } from './container-settings.ts';
import { LogBucket } from './log-bucket.ts';
import { WebAcl } from './web-acl.ts';

export const HEALTH_PATH = '/v1/health';
/** Counted anew with every answer; longer than any DB_READ_YOUR_WRITES that makes sense. */
const STICKY = Duration.minutes(5);

export interface PublicEndpointProps {
  readonly config: Config;
  readonly vpc: ec2.IVpc;
  readonly hostedZone: route53.IHostedZone;
  readonly certificate: ICertificate;
  readonly service: FargateService;
  readonly alarmTopic: AlarmTopic;
}

export class PublicEndpoint extends Construct {
  readonly loadBalancer: elbv2.ApplicationLoadBalancer;
  readonly targetGroup: elbv2.ApplicationTargetGroup;

  constructor(scope: Construct, id: string, props: PublicEndpointProps) {
    super(scope, id);
    this.loadBalancer = this.createLoadBalancer(props);
    this.targetGroup = this.createTargetGroup(props);
    this.addListeners(props.certificate);
    new route53.ARecord(this, 'Record', {
      zone: props.hostedZone,
      recordName: props.config.domainName,
      target: route53.RecordTarget.fromAlias(new LoadBalancerTarget(this.loadBalancer)),
    });
    if (props.config.isProduction) {
      // Elsewhere a bucket that is not empty would stop the deletion of the stack halfway, the database still running.
      new LogBucket(this, 'AccessLogs').receiveFrom(this.loadBalancer);
      new WebAcl(this, 'Firewall', {
        config: props.config,
        loadBalancer: this.loadBalancer,
        alarmTopic: props.alarmTopic,
      });
    }
  }

  private createLoadBalancer({ config, vpc }: PublicEndpointProps): elbv2.ApplicationLoadBalancer {
    return new elbv2.ApplicationLoadBalancer(this, 'LoadBalancer', {
      loadBalancerName: config.baseName,
      vpc,
      vpcSubnets: { subnetType: ec2.SubnetType.PUBLIC },
      internetFacing: true,
      dropInvalidHeaderFields: true,
      idleTimeout: Duration.seconds(BALANCER_IDLE_SECONDS),
      deletionProtection: config.isProduction,
    });
  }

  private createTargetGroup({ config, vpc, service }: PublicEndpointProps): elbv2.ApplicationTargetGroup {
    return new elbv2.ApplicationTargetGroup(this, 'Targets', {
      // Another port is another target group, which could not be made beside one of the same name.
      targetGroupName: `${config.baseName}-${config.appPort}`,
      vpc,
      port: config.appPort,
      protocol: elbv2.ApplicationProtocol.HTTP,
      targets: [service],
      deregistrationDelay: Duration.seconds(30),
      // Each process remembers for itself who wrote and reads from the primary for a moment
      // (DB_READ_YOUR_WRITES): with a replica a client has to come back to the process it wrote to.
      stickinessCookieDuration: config.databaseReadReplica ? STICKY : undefined,
      healthCheck: {
        path: HEALTH_PATH,
        healthyHttpCodes: '200',
        interval: Duration.seconds(15),
        timeout: Duration.seconds(5),
        healthyThresholdCount: 2,
        unhealthyThresholdCount: 3,
      },
    });
  }

  private addListeners(certificate: ICertificate): void {
    this.loadBalancer.addListener('Https', {
      port: 443,
      protocol: elbv2.ApplicationProtocol.HTTPS,
      certificates: [certificate],
      // TLS 1.3, and 1.2 for those who are late, with forward secrecy and authenticated ciphers only.
      sslPolicy: elbv2.SslPolicy.TLS13_RES,
      defaultTargetGroups: [this.targetGroup],
    });
    this.loadBalancer.addListener('Http', {
      port: 80,
      protocol: elbv2.ApplicationProtocol.HTTP,
      defaultAction: elbv2.ListenerAction.redirect({ protocol: 'HTTPS', port: '443', permanent: true }),
    });
  }
}
